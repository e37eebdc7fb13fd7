"""The folder of crispvl's core for CUDA; `crispvl.variants` decides whether it is used."""
