# The manual. Targets that every build has: build_doc, install_doc,
# uninstall_doc, and their _html and _man parts. One source, jemalloc.3.in,
# gives the page and, where mandoc is, the HTML.
man3_dir = $(DESTDIR)$(mandir)/man3
html_dir = $(DESTDIR)$(docdir)
manual_inputs = $(srcdir)/doc/manual.sh $(srcdir)/doc/jemalloc.3.in \
	$(srcdir)/src/conf/options.def $(srcdir)/src/conf/limits.h \
	$(srcdir)/src/ctl/nodes.def $(srcdir)/src/stats/fields.def

doc/jemalloc.3: $(manual_inputs)
	@$(MKDIR_P) doc
	$(AM_V_GEN)CPP='$(CC) -E' bash $(srcdir)/doc/manual.sh $(srcdir) \
		'$(JE_VERSION)' >$@.tmp && mv $@.tmp $@
# One file: the style is put into its head.
doc/jemalloc.html: doc/jemalloc.3 $(srcdir)/doc/manual.css
	$(AM_V_GEN)$(MANDOC) -T html -O toc doc/jemalloc.3 | \
		sed -e '/<style>/,/<\/style>/d' \
		-e '/<\/head>/{h;s/.*/<style>/;r $(srcdir)/doc/manual.css' \
		-e 'a </style>' -e 'a </head>' -e '}' >$@.tmp && mv $@.tmp $@
CLEANFILES += doc/jemalloc.3 doc/jemalloc.html

# Of programs, where they are built.
man1_dir = $(DESTDIR)$(mandir)/man1
man1_files =
if HAVE_JEPROF_LIBS
man1_files += $(srcdir)/doc/jeprof.1
endif

html_files =
if HAVE_MANDOC
html_files += doc/jemalloc.html
endif

build_doc: build_doc_html build_doc_man
build_doc_html: $(html_files)
build_doc_man: doc/jemalloc.3
install_doc: install_doc_html install_doc_man
install_doc_html: $(html_files)
	@for f in $(html_files); do \
		$(MKDIR_P) $(html_dir) && \
		$(INSTALL_DATA) $$f $(html_dir)/jemalloc$(S).html || exit 1; done
install_doc_man: doc/jemalloc.3
	$(MKDIR_P) $(man3_dir)
	$(INSTALL_DATA) doc/jemalloc.3 $(man3_dir)/jemalloc$(S).3
	@for f in $(man1_files); do \
		$(MKDIR_P) $(man1_dir) && \
		$(INSTALL_DATA) $$f $(man1_dir) || exit 1; done
uninstall_doc: uninstall_doc_html uninstall_doc_man
uninstall_doc_html:
	rm -f $(html_dir)/jemalloc$(S).html
uninstall_doc_man:
	rm -f $(man3_dir)/jemalloc$(S).3
	rm -f $(addprefix $(man1_dir)/,$(notdir $(man1_files)))
