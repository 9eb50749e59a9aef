"""Presets and other shipped files: the public face of `hnm_core.spec.resources`."""

from hnm_core.spec.resources import FIRST_PRESET, preset_names, preset_path, resource_dir

__all__ = ["FIRST_PRESET", "preset_names", "preset_path", "resource_dir"]
