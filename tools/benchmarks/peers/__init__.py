"""What we are compared with, as short and as fast as its own users write it; imported when it is measured."""
