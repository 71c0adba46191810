"""The plugins that come with smalti, through the same door as everybody else's."""
