"""A recommendation service over an exported artifact.

    pip install fastapi uvicorn
    PENCHANT_ARTIFACT=model.penchant uvicorn serve:app
    curl -d '{"history": [50, 172], "n": 5}' -H 'Content-Type: application/json' \
        localhost:8000/recommend

Put a newer artifact in the file's place, then POST /reload: queries under way end on the old one.
"""

from __future__ import annotations

import os
from typing import Union  # what pydantic reads at run time, on Python 3.9 too

import penchant
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

Id = Union[int, str]
PATH = os.environ["PENCHANT_ARTIFACT"]
app = FastAPI(title="Recommendations")
reader = penchant.Reader(PATH, verify=True)


class Request(BaseModel):
    user: Union[Id, None] = None  # noqa: UP007
    history: Union[list[Id], None] = None  # noqa: UP007
    n: int = Field(10, ge=1, le=1000)
    filter_items: list[Id] = []
    context: dict[str, str] = {}


def answer(ask):
    try:
        ids, scores = ask()
    except ValueError as error:
        raise HTTPException(status_code=422, detail=str(error)) from error
    return [{"item": item, "score": float(score)} for item, score in zip(ids, scores)]


@app.post("/recommend")
def recommend(request: Request):
    return answer(lambda: reader.recommend(**request.model_dump()))


@app.get("/similar/{item}")
def similar(item: str, n: int = 10):
    texts = reader.manifest.get("string_item_ids", False)
    return answer(lambda: reader.similar(item if texts else int(item), n))


@app.post("/reload")
def reload():
    reader.reload(PATH)
    return reader.manifest["data"]
