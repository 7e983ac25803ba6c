"""Pages: what people see in a browser, a file a page; the API is elsewhere."""
