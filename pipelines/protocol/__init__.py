"""Who is trained on and who is tested: folds drawn or published, and audits of them."""
