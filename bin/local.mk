# Programs of bin/, e.g.
#   if HAVE_JEPROF_LIBS
#   bin_PROGRAMS += bin/jeprof
#   bin_jeprof_SOURCES = bin/jeprof/main.c
#   bin_jeprof_CPPFLAGS = -D_GNU_SOURCE -I$(top_builddir)
#   bin_jeprof_LDADD = $(LIBDW_LIBS) $(ZLIB_LIBS) $(LIBIBERTY_LIBS)
#   endif
