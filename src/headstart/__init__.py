"""Headstart: transfer learning for image classification, with evidence of whether it helped."""
