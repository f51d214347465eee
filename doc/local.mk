# The manual. Targets that every build has: build_doc, install_doc,
# uninstall_doc, and their _html and _man parts.
build_doc: build_doc_html build_doc_man
build_doc_html:
build_doc_man:
install_doc: install_doc_html install_doc_man
install_doc_html:
install_doc_man:
uninstall_doc: uninstall_doc_html uninstall_doc_man
uninstall_doc_html:
uninstall_doc_man:
