"""Memory of a model, before it is loaded."""

from __future__ import annotations

from crispvl.plan.memory_plan import DevicePlan, MemoryPlan
from crispvl.plan.plan import place_model, plan_model

__all__ = ["DevicePlan", "MemoryPlan", "place_model", "plan_model"]
