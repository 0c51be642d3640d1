"""The five phases that every order which adds risk passes, in this order."""
