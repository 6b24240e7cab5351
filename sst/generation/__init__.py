"""New sounds: recipes, their rendering, and the filter that asks for novelty.

Start with `recipe.draws` and `recipe.render`.
"""
