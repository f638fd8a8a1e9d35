// What a kernel of width 1 finds in storage, `array<Stored>`.
alias Stored = f32;

fn floats(value: Stored) -> Float {
    return value;
}
