"""From pictures to a feature matrix: each picture is read once and computed at most once, ever."""
