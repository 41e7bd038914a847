"""qspec's own files: networks, arrays, samples."""
