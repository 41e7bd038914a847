"""The native engine: branch and bound over staircase steps and inputs, on Lagrangian duals; floats search, integers conclude."""
