"""Looking at the world and comparing it with what should be: health, status, verification, the way back."""
