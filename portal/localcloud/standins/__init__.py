"""What MiniStack lacks and the portal needs, each as one small module with an install().

They patch private names of one pinned MiniStack version. tests/localcloud has a contract test per module that
fails when its patch no longer takes effect.
"""
