"""What an image holds, read from outside: layers, files, and which instruction made them."""
