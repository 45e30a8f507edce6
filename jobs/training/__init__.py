"""How the demo model is taught, examined and served; no part of the installed package."""
