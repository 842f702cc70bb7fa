"""What the values of keys may be."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Flag = Annotated[bool, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Count = Annotated[int, Field(strict=True, ge=1, le=1000)]
Window = Annotated[int, Field(strict=True, ge=0, le=1000)]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
Text = Annotated[str, Field(min_length=1)]
Share = Annotated[Number, Field(ge=0, le=1)]
Side = Annotated[int, Field(strict=True, ge=16, le=2048)]
Batch = Annotated[int, Field(strict=True, ge=1, le=1024)]
