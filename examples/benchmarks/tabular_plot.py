def draw(raw, path): pass
