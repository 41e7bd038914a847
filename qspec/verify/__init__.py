"""One query: route, session, verdict, result."""
