// Element type of a kernel that serves all three scalars. The generated `epilogue` comes with this one.
alias Element = f32;
