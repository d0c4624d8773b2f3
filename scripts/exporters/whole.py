"""Files that are there whole or not at all."""
import os


def replace(path, data):
    """Bytes, or text in UTF-8; whatever goes wrong, `path` is what it was. A link stays one, and a device (/dev/stdout) is written to."""
    plain = os.path.isfile(path) or not os.path.exists(path)
    path = os.path.realpath(path) if plain else path
    temporary = path + ".tmp" if plain else path
    try:
        with open(temporary, "wb") as file:
            file.write(data.encode("utf-8") if isinstance(data, str) else data)
        if plain:
            os.replace(temporary, path)
    except OSError:
        if plain and os.path.isfile(temporary):
            os.unlink(temporary)
        raise
