"""The native engine: branch and bound over staircase steps and inputs, on Lagrangian duals, searched in floats and concluded in integers."""
