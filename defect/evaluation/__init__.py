"""How well the models find, place and name defects on photos they were not trained on."""
