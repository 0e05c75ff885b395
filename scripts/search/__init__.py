"""Ask a finished run, from the command line or on a page in the browser; one engine for both."""
