// Empty: clang includes this header of a library that RepoWave does not use, only to work around it.
