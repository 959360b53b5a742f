"""HTTP servers: FastAPI, Starlette and any ASGI application."""
