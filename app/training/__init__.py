"""Training in a process of its own, so that the window and the training never wait for each other's interpreter."""
