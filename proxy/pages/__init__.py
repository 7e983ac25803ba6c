"""Pages of the shop: keys, prices, try it."""
