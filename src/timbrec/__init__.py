"""Which pretrained audio representation makes your music recommender better, hot and cold start, and by how much?"""

__version__ = "0.1.0"
