module imgkit.test/unzstd

go 1.22

require github.com/klauspost/compress v1.18.0
