"""From a call to the files: entries, the queue with its two lanes, and the threads that encode and write."""
