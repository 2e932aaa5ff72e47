not trusted, not shown, not copied
