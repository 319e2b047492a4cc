"""An error tracker."""
