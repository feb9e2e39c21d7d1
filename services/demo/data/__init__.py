"""The bundled sales of the demonstration; README.md beside this file says where they come from."""
