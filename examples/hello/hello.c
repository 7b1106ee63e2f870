/* Prints the greeting that lies beside it in the image: proof that program and data arrived. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
    const char *directory = getenv("HELLO_DATA");
    char path[4096];
    char line[256];
    FILE *file;

    if (directory == NULL) {
        directory = "/usr/share/hello";
    }
    if (snprintf(path, sizeof path, "%s/greeting", directory) >= (int)sizeof path) {
        fputs("hello: HELLO_DATA is too long\n", stderr);
        return 1;
    }
    file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    if (fgets(line, sizeof line, file) == NULL) {
        fprintf(stderr, "hello: %s is empty\n", path);
        return 1;
    }
    fclose(file);
    fputs(line, stdout);
    return strchr(line, '\n') == NULL ? 1 : 0;
}
