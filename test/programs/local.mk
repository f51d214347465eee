# Whole programs of others that run under the library.
