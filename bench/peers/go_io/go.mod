module benchio

go 1.19
