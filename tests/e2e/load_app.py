"""A shop behind FastAPI with its cache in Redis and its items in PostgreSQL, measured by otelkit.

Serves on a free port until SIGTERM; each answer names its trace. Some items are missing (404), some are
broken (500). Texts that begin with what ``HIDDEN`` says must appear nowhere in telemetry.
"""

from __future__ import annotations

import contextlib
import os

import asyncpg
import redis.asyncio
import uvicorn
from fastapi import FastAPI, HTTPException
from fastapi.responses import JSONResponse

import otelkit

HIDDEN = os.environ["HIDDEN"]
MISSING, BROKEN = int(os.environ["MISSING"]), int(os.environ["BROKEN"])  # every so many

otelkit.init(service_name="load")


@contextlib.asynccontextmanager
async def lifespan(app):
    app.state.pool = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=2, max_size=4)
    app.state.cache = redis.asyncio.from_url(os.environ["REDIS_URL"])
    await app.state.pool.execute("DROP TABLE IF EXISTS items")
    await app.state.pool.execute("CREATE TABLE items (id int PRIMARY KEY, name text)")
    await app.state.pool.executemany(
        "INSERT INTO items VALUES ($1, $2)", [(n, f"{HIDDEN}parameter-{n}") for n in range(50) if n % MISSING]
    )
    print("serving", flush=True)
    yield
    await app.state.cache.aclose()
    await app.state.pool.close()


app = FastAPI(lifespan=lifespan)


@otelkit.monitor_performance(method="lookup", endpoint="/items", errors=(LookupError,))
async def lookup(number: int) -> str:
    if number % BROKEN == BROKEN - 1:
        raise ZeroDivisionError("broken item")
    key = f"{HIDDEN}key-{number}"
    found = await app.state.cache.get(key)
    if found is None:
        found = await app.state.pool.fetchval(
            f"SELECT name FROM items WHERE id = $1 AND name <> '{HIDDEN}literal' -- {HIDDEN}comment", number
        )
        if found is None:
            raise LookupError("no such item")
        await app.state.cache.set(key, f"{HIDDEN}value", ex=60)
    return str(found)


@app.get("/items/{number}")
async def item(number: int):
    try:
        await lookup(number)
    except LookupError as error:
        raise HTTPException(404, "no such item", headers={"x-trace-id": otelkit.trace_id()}) from error
    return JSONResponse({"number": number}, headers={"x-trace-id": otelkit.trace_id()})


@app.get("/healthz")
async def healthz():
    return {}


if __name__ == "__main__":
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="info")
    uvicorn.Server(config).run()
