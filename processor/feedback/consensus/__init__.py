"""Rules of consensus, one file each: what several answers to one inference come to."""
