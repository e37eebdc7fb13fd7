"""How good and how fast a model is: scores, benchmarks, speed, and which weights matter."""
