class Forecast: pass
def forecast(*a): return None
