/* A shared object that is no environment. */
const int nothing_of_interest = 1;
