# Programs of bin/. jeprof is built where its libraries are; configure tells.
if HAVE_JEPROF_LIBS
bin_PROGRAMS += bin/jeprof/jeprof
JEPROF_CPPFLAGS = -I$(top_builddir) -I$(top_srcdir)/bin/jeprof
JEPROF_LIBS = $(LIBDW_LIBS) $(LIBIBERTY_LIBS) $(PROTOBUF_C_LIBS) \
	$(ZLIB_LIBS) -lm

# All but the program itself; the fuzz targets link it too.
noinst_LIBRARIES += libjeprof.a
libjeprof_a_SOURCES = bin/jeprof/binary.c bin/jeprof/debuginfo.c \
	bin/jeprof/input.c bin/jeprof/maps.c bin/jeprof/mem.c \
	bin/jeprof/names.c bin/jeprof/perfmap.c \
	bin/jeprof/print_flame.c bin/jeprof/print_graph.c \
	bin/jeprof/print_json.c bin/jeprof/print_proto.c \
	bin/jeprof/print_raw.c bin/jeprof/print_source.c \
	bin/jeprof/print_text.c bin/jeprof/profile.c bin/jeprof/read.c \
	bin/jeprof/read_cpu.c bin/jeprof/read_proto.c bin/jeprof/read_text.c \
	bin/jeprof/say.c bin/jeprof/settings.c bin/jeprof/symbolize.c \
	bin/jeprof/tally.c bin/jeprof/texts.c bin/jeprof/tool.c \
	bin/jeprof/view.c
nodist_libjeprof_a_SOURCES = bin/jeprof/profile.pb-c.c
libjeprof_a_CPPFLAGS = $(JEPROF_CPPFLAGS)

bin_jeprof_jeprof_SOURCES = bin/jeprof/http.c bin/jeprof/main.c \
	bin/jeprof/remote.c bin/jeprof/serve.c bin/jeprof/shell.c
bin_jeprof_jeprof_CPPFLAGS = $(JEPROF_CPPFLAGS)
bin_jeprof_jeprof_LDADD = libjeprof.a $(JEPROF_LIBS)

bin/jeprof/profile.pb-c.c: bin/jeprof/profile.proto
	@$(MKDIR_P) bin/jeprof
	$(AM_V_GEN)$(PROTOC_C) --proto_path=$(srcdir) --c_out=. \
		bin/jeprof/profile.proto
bin/jeprof/profile.pb-c.h: bin/jeprof/profile.pb-c.c
	@test -f $@

# The page as an array of bytes.
bin/jeprof/flame_page.h: bin/jeprof/flame.html
	@$(MKDIR_P) bin/jeprof
	$(AM_V_GEN){ echo 'static const unsigned char flame_page[] = {' && \
		od -An -v -tx1 $(srcdir)/bin/jeprof/flame.html | \
		sed 's/ \(..\)/0x\1,/g' && echo '};'; } > $@.tmp && mv $@.tmp $@

bin/jeprof/libjeprof_a-read_proto.$(OBJEXT) \
bin/jeprof/libjeprof_a-print_proto.$(OBJEXT): bin/jeprof/profile.pb-c.h
bin/jeprof/libjeprof_a-print_flame.$(OBJEXT): bin/jeprof/flame_page.h
CLEANFILES += bin/jeprof/profile.pb-c.c bin/jeprof/profile.pb-c.h \
	bin/jeprof/flame_page.h
endif
