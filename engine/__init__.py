"""The core: fixes, trails, activations, geodesy, the fix store; imports nothing of ours."""
