not from us
