"""Runs a packed model from Python, with nothing but Python's own ctypes.

  python3 run_my_net.py LIBRARY FILE      prints the model's name, and its answer to an image of zeros
"""

import ctypes
import sys

OK, PIXELS = 0, 2


class Bitgrad:
  """The functions of libbitgrad_runtime.so that are used here; the others are declared likewise."""

  def __init__(self, path):
    self.library = ctypes.CDLL(path)
    pointer, size, text = ctypes.c_void_p, ctypes.c_int64, ctypes.c_char_p
    for name, result, arguments in [
        ("abi_version", ctypes.c_int32, []),
        ("last_error", text, []),
        ("model_load", ctypes.c_int, [text, ctypes.POINTER(pointer)]),
        ("model_free", None, [pointer]),
        ("model_name", text, [pointer]),
        ("model_input", ctypes.c_int, [pointer]),
        ("model_input_size", size, [pointer]),
        ("model_output_size", size, [pointer]),
        ("session_create", ctypes.c_int, [pointer, ctypes.c_int32, ctypes.POINTER(pointer)]),
        ("session_free", None, [pointer]),
        ("session_run_pixels", ctypes.c_int, [pointer, text, size, size, ctypes.POINTER(ctypes.c_float), size]),
    ]:
      function = getattr(self.library, "bitgrad_" + name)
      function.restype, function.argtypes = result, arguments
      setattr(self, name, function)
    if self.abi_version() != 1:
      raise RuntimeError(f"{path} has ABI version {self.abi_version()}; this program knows 1")

  def check(self, code):
    if code != OK:
      raise RuntimeError(self.last_error().decode(errors="replace"))


class Model:
  """A packed model, and a session of one thread to run it in."""

  def __init__(self, bitgrad, path):
    self.bitgrad, self.model, self.session = bitgrad, ctypes.c_void_p(), ctypes.c_void_p()
    bitgrad.check(bitgrad.model_load(path.encode(), ctypes.byref(self.model)))
    bitgrad.check(bitgrad.session_create(self.model, 1, ctypes.byref(self.session)))

  def __del__(self):
    self.bitgrad.session_free(self.session)
    self.bitgrad.model_free(self.model)

  def name(self):
    return self.bitgrad.model_name(self.model).decode()

  def run(self, pixels):
    """The results, a list of floats for each example, of the examples' bytes one behind the other."""
    size, out = self.bitgrad.model_input_size(self.model), self.bitgrad.model_output_size(self.model)
    examples = len(pixels) // size
    results = (ctypes.c_float * (examples * out))()
    self.bitgrad.check(self.bitgrad.session_run_pixels(self.session, pixels, examples, size, results, len(results)))
    return [list(results[i * out:(i + 1) * out]) for i in range(examples)]


def main():
  bitgrad = Bitgrad(sys.argv[1])
  model = Model(bitgrad, sys.argv[2])
  if bitgrad.model_input(model.model) != PIXELS:
    raise RuntimeError("the model takes no pixels")
  image = bytes(bitgrad.model_input_size(model.model))
  print(model.name() + ":", *["%g" % logit for logit in model.run(image)[0]])


if __name__ == "__main__":
  try:
    main()
  except RuntimeError as error:
    sys.exit(str(error))
