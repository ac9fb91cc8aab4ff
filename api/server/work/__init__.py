"""What routes share: threads, caches, jobs, cursors."""
